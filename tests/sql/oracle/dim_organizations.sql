-- organizations: id, name, slug, etc.
SELECT id, name, slug, created_at, updated_at FROM organizations
