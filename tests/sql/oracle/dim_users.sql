-- users: id, name, email, user_type, country_code; and the account that is the same person
SELECT id, name, email, user_type, country_code, account_id FROM users
