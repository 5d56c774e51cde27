-- What the warehouse holds of Postgres: one table per loaded table, same name, same columns, same order.
-- jsonb comes as Postgres's own text. No UNIQUE and no index: DuckDB 1.5 can lose index entries after a
-- crash, so that what is unique is made so by the load. The way of each table is in `warehouse/tables.py`.

CREATE SCHEMA IF NOT EXISTS raw;
CREATE SCHEMA IF NOT EXISTS meta;

CREATE TABLE IF NOT EXISTS raw.activity_events (
    id BIGINT,
    user_id UUID,
    event_type VARCHAR,
    action_name VARCHAR,
    created_at TIMESTAMPTZ,
    event_id UUID,
    received_at TIMESTAMPTZ,
    created_at_adjusted BOOLEAN,
    is_bot BOOLEAN,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.tracking_events (
    id BIGINT,
    user_id BIGINT,
    user_type VARCHAR,
    app_name VARCHAR,
    event_type VARCHAR,
    event_name VARCHAR,
    country_code VARCHAR,
    ip_hash VARCHAR,
    os VARCHAR,
    device_type VARCHAR,
    session_id VARCHAR,
    meta VARCHAR,
    created_at TIMESTAMPTZ,
    event_id UUID,
    received_at TIMESTAMPTZ,
    created_at_adjusted BOOLEAN,
    is_bot BOOLEAN,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.tracking_documents (
    id BIGINT,
    user_id BIGINT,
    user_type VARCHAR,
    app_name VARCHAR,
    level_name VARCHAR,
    chapter_name VARCHAR,
    document_name VARCHAR,
    country_code VARCHAR,
    ip_hash VARCHAR,
    created_at TIMESTAMPTZ,
    event_id UUID,
    received_at TIMESTAMPTZ,
    created_at_adjusted BOOLEAN,
    is_bot BOOLEAN,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.user_point_logs (
    id BIGINT,
    user_id BIGINT,
    action VARCHAR,
    points INTEGER,
    related_event VARCHAR,
    created_at TIMESTAMPTZ,
    xid UBIGINT,
    reverses_id BIGINT,
    reason VARCHAR,
    event_id UUID,
    rule_id BIGINT
);

CREATE TABLE IF NOT EXISTS raw.user_credit_logs (
    id BIGINT,
    user_id BIGINT,
    credits_added INTEGER,
    points_consumed INTEGER,
    created_at TIMESTAMPTZ,
    xid UBIGINT,
    point_log_id BIGINT
);

CREATE TABLE IF NOT EXISTS raw.accounts (
    id UUID,
    username VARCHAR,
    display_name VARCHAR,
    role VARCHAR,
    org_id UUID,
    created_at TIMESTAMPTZ,
    updated_at TIMESTAMPTZ,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.admin_settings (
    setting_key VARCHAR,
    setting_value VARCHAR,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.forgotten_visitors (
    id BIGINT,
    first_seen_at TIMESTAMPTZ,
    last_seen_at TIMESTAMPTZ,
    visitor_count BIGINT,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.intake_counts (
    id BIGINT,
    received_hour TIMESTAMPTZ,
    table_name VARCHAR,
    node_name VARCHAR,
    accepted_count BIGINT,
    stored_count BIGINT,
    duplicate_count BIGINT,
    rejected_count BIGINT,
    dropped_count BIGINT,
    erased_count BIGINT,
    human_count BIGINT,
    last_human_at TIMESTAMPTZ,
    updated_at TIMESTAMPTZ,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.organizations (
    id UUID,
    name VARCHAR,
    slug VARCHAR,
    created_at TIMESTAMPTZ,
    updated_at TIMESTAMPTZ,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.subscriptions (
    id UUID,
    org_id UUID,
    plan VARCHAR,
    duration VARCHAR,
    status VARCHAR,
    started_at TIMESTAMPTZ,
    ends_at TIMESTAMPTZ,
    updated_at TIMESTAMPTZ,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.tracking_live_sessions (
    session_id VARCHAR,
    user_id BIGINT,
    user_type VARCHAR,
    app_name VARCHAR,
    country_code VARCHAR,
    last_heartbeat TIMESTAMPTZ,
    created_at TIMESTAMPTZ,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.user_credits (
    user_id BIGINT,
    credits INTEGER,
    updated_at TIMESTAMPTZ,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.user_heartbeats (
    user_id UUID,
    last_seen_at TIMESTAMPTZ,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.user_points (
    user_id BIGINT,
    points INTEGER,
    updated_at TIMESTAMPTZ,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.users (
    id BIGINT,
    name VARCHAR,
    email VARCHAR,
    user_type VARCHAR,
    country_code VARCHAR,
    account_id UUID,
    xid UBIGINT
);

CREATE TABLE IF NOT EXISTS raw.visitor_sessions (
    id UUID,
    session_id VARCHAR,
    ip_hash VARCHAR,
    ua_hash VARCHAR,
    first_seen_at TIMESTAMPTZ,
    last_seen_at TIMESTAMPTZ,
    xid UBIGINT
);

-- how far each table is loaded: written in the transaction that writes the rows
CREATE TABLE IF NOT EXISTS meta.load_cursors (
    table_name VARCHAR,
    snapshot VARCHAR,
    system_identifier VARCHAR,
    database_oid UBIGINT,
    loaded_at TIMESTAMPTZ
);

-- in which run which load brought rows: written in the transaction that moves the cursor from previous_snapshot to snapshot.
-- Without a previous one it took everything anew. Of loads of an older footfall there is none
CREATE TABLE IF NOT EXISTS meta.loads (
    table_name VARCHAR,
    run_id VARCHAR,
    loaded_at TIMESTAMPTZ,
    loaded_row_count BIGINT,
    previous_snapshot VARCHAR,
    snapshot VARCHAR
);

-- in which incarnation of server and table each table was last found, or made, equal to Postgres. Of a file that an older
-- footfall made there is none, so that its next load compares
CREATE TABLE IF NOT EXISTS meta.compared (
    table_name VARCHAR,
    incarnation VARCHAR
);

-- in what words a load stopped because Postgres has another past: no load and no seal goes on before a full load
CREATE TABLE IF NOT EXISTS meta.stops (
    words VARCHAR,
    stopped_at TIMESTAMPTZ
);

-- one row: which build the marts are of, by which code, what was loaded when it began, when its checks had passed, if they have,
-- and which tables it makes
CREATE TABLE IF NOT EXISTS meta.builds (
    build_id VARCHAR,
    code_version VARCHAR,
    models_version VARCHAR,
    loaded_at TIMESTAMPTZ,
    snapshot VARCHAR,
    begun_at TIMESTAMPTZ,
    passed_at TIMESTAMPTZ,
    models VARCHAR[]
);

-- which quarter hours of `created_at` have rows of an event or log table that no passed build has seen: written in the
-- transaction that writes the rows. Without a quarter hour: all of the table; '*' is every table
CREATE TABLE IF NOT EXISTS meta.touched (
    table_name VARCHAR,
    quarter_hour TIMESTAMPTZ
);

-- which files are sealed, in the order of sealing: written in the transaction that deletes their rows from raw.
-- manifest_line is the file's line in the archive's manifest; modified_ns is the file's time of change when its
-- content was last seen to be right
CREATE TABLE IF NOT EXISTS meta.sealed_files (
    position BIGINT,
    path VARCHAR,
    manifest_line VARCHAR,
    modified_ns BIGINT
);

-- where the hot rows of an event table are in the lake, raw.<table> is a view of these files and no table: each has the rows
-- of one load and one day of receipt (UTC). Written in the transaction that moves the cursor; what is not named is not read
CREATE TABLE IF NOT EXISTS meta.hot_files (
    path VARCHAR,
    table_name VARCHAR,
    received_date DATE,
    row_count BIGINT,
    byte_count BIGINT,
    sha256 VARCHAR,
    newest_received_at TIMESTAMPTZ
);

-- an xid that Postgres gave out after the end of a day (UTC): who writes into that day has a lower one
CREATE TABLE IF NOT EXISTS meta.day_marks (
    ended_date DATE,
    system_identifier VARCHAR,
    database_oid UBIGINT,
    xid UBIGINT
);
