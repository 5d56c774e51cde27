"""The state tables of both seeds, the assumed ones included; each keeps its `xid`."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE accounts (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    username text,
    display_name text,
    role text,
    org_id uuid,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (id)
);
CREATE INDEX accounts_org_id_idx ON accounts (org_id);
CREATE INDEX accounts_xid_idx ON accounts (xid);
CREATE TRIGGER set_xid BEFORE INSERT OR UPDATE ON accounts
    FOR EACH ROW EXECUTE FUNCTION set_xid();

CREATE TABLE organizations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text NOT NULL,
    slug text,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT organizations_pkey PRIMARY KEY (id)
);
CREATE INDEX organizations_xid_idx ON organizations (xid);
CREATE TRIGGER set_xid BEFORE INSERT OR UPDATE ON organizations
    FOR EACH ROW EXECUTE FUNCTION set_xid();

CREATE TABLE subscriptions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    org_id uuid,
    plan text,
    duration text,
    status text NOT NULL,
    started_at timestamptz DEFAULT now() NOT NULL,
    ends_at timestamptz NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT subscriptions_pkey PRIMARY KEY (id),
    CONSTRAINT subscriptions_status_check CHECK (status IN ('active', 'expired', 'cancelled'))
);
CREATE INDEX subscriptions_org_id_idx ON subscriptions (org_id);
CREATE INDEX subscriptions_status_ends_at_idx ON subscriptions (status, ends_at);
CREATE INDEX subscriptions_xid_idx ON subscriptions (xid);
CREATE TRIGGER set_xid BEFORE INSERT OR UPDATE ON subscriptions
    FOR EACH ROW EXECUTE FUNCTION set_xid();

CREATE TABLE users (
    id bigint NOT NULL,
    name varchar(150),
    email varchar(150),
    user_type text NOT NULL,
    country_code char(2),
    account_id uuid,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_user_type_check CHECK (user_type IN ('student', 'teacher', 'admin'))
);
CREATE INDEX users_xid_idx ON users (xid);
CREATE TRIGGER set_xid BEFORE INSERT OR UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION set_xid();

CREATE TABLE visitor_sessions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    session_id text NOT NULL,
    ip_hash text,
    ua_hash text,
    first_seen_at timestamptz DEFAULT now() NOT NULL,
    last_seen_at timestamptz DEFAULT now() NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT visitor_sessions_pkey PRIMARY KEY (id),
    CONSTRAINT visitor_sessions_session_id_key UNIQUE (session_id)
);
CREATE INDEX visitor_sessions_last_seen_at_idx ON visitor_sessions (last_seen_at);
CREATE INDEX visitor_sessions_last_seen_date_idx ON visitor_sessions (((last_seen_at AT TIME ZONE 'UTC')::date));
CREATE INDEX visitor_sessions_xid_idx ON visitor_sessions (xid);
CREATE TRIGGER set_xid BEFORE INSERT OR UPDATE ON visitor_sessions
    FOR EACH ROW EXECUTE FUNCTION set_xid();

CREATE TABLE user_heartbeats (
    user_id uuid NOT NULL,
    last_seen_at timestamptz DEFAULT now() NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT user_heartbeats_pkey PRIMARY KEY (user_id),
    CONSTRAINT user_heartbeats_user_id_fkey FOREIGN KEY(user_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX user_heartbeats_last_seen_at_idx ON user_heartbeats (last_seen_at);
CREATE INDEX user_heartbeats_xid_idx ON user_heartbeats (xid);
CREATE TRIGGER set_xid BEFORE INSERT OR UPDATE ON user_heartbeats
    FOR EACH ROW EXECUTE FUNCTION set_xid();

CREATE TABLE tracking_live_sessions (
    session_id varchar(100) NOT NULL,
    user_id bigint NOT NULL,
    user_type text NOT NULL,
    app_name varchar(50) NOT NULL,
    country_code char(2),
    last_heartbeat timestamptz DEFAULT now() NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT tracking_live_sessions_pkey PRIMARY KEY (session_id),
    CONSTRAINT tracking_live_sessions_user_type_check CHECK (user_type IN ('student', 'teacher'))
);
CREATE INDEX tracking_live_sessions_idx_app ON tracking_live_sessions (app_name);
CREATE INDEX tracking_live_sessions_idx_country ON tracking_live_sessions (country_code);
CREATE INDEX tracking_live_sessions_idx_heartbeat ON tracking_live_sessions (last_heartbeat);
CREATE INDEX tracking_live_sessions_xid_idx ON tracking_live_sessions (xid);
CREATE TRIGGER set_xid BEFORE INSERT OR UPDATE ON tracking_live_sessions
    FOR EACH ROW EXECUTE FUNCTION set_xid();
"""

DOWNGRADE = """
DROP TABLE tracking_live_sessions;
DROP TABLE user_heartbeats;
DROP TABLE visitor_sessions;
DROP TABLE users;
DROP TABLE subscriptions;
DROP TABLE organizations;
DROP TABLE accounts;
"""


def upgrade() -> None:
    """Apply the change; DDL of Postgres is transactional, so it happens whole or not at all."""
    op.execute(UPGRADE)


def downgrade() -> None:
    """Undo it, data included."""
    op.execute(DOWNGRADE)
