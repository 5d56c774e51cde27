-- accounts / users: id (uuid), username, display_name, role, org_id, created_at, updated_at
SELECT id, username, display_name, role, org_id, created_at, updated_at FROM accounts
