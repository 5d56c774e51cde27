-- Queries about sealed files that are written anew without some rows, on DuckDB. {…} are names of our own, quoted by the
-- caller, and conditions on a table's columns.

-- rows --
-- The rows of one file as it has them, for which a condition holds on the columns as the models read them, or those
-- for which it does not (`NOT `): NULL is no reason to go.
SELECT {named} FROM (SELECT {read}, {stored} FROM read_parquet({path}))
WHERE ({condition}) IS {negation}TRUE

-- rows_by_file --
-- How many rows has each of these files for which the condition holds?
SELECT url, count(*) FROM (SELECT {read}, filename AS url FROM read_parquet({paths}, filename = true))
WHERE {condition}
GROUP BY url

-- fingerprint --
SELECT count(*), coalesce(sum(from_hex('0' || substr(md5({text}), 1, 15))::BIT::BIGINT::HUGEINT), 0) FROM ({rows})

-- write --
-- In the order that they have; the file itself says why it has fewer rows than there were.
COPY ({rows}) TO {path} (
    FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL {level}, ROW_GROUP_SIZE {row_group_rows},
    KV_METADATA {{rewritten: {reason}}}
)

-- touch --
-- When did the rows happen that are gone?
INSERT INTO meta.touched
SELECT ?::VARCHAR, time_bucket(INTERVAL '15 minutes', created_at) FROM ({rows})
EXCEPT
FROM meta.touched

-- rows_beyond --
-- How many rows has one file that another has not?
SELECT count(*)
FROM (
    SELECT md5({text}) FROM read_parquet({these})
    EXCEPT ALL
    SELECT md5({text}) FROM read_parquet({those})
)

-- rows_not_hot --
-- How many rows are there besides the hot ones of a day?
SELECT count(*)
FROM (
    SELECT md5({text}) FROM ({rows})
    EXCEPT ALL
    SELECT md5({text}) FROM raw.{table}
    WHERE received_at >= TIMESTAMPTZ '{first}' AND received_at < TIMESTAMPTZ '{end}'
)

-- columns_of --
-- Which columns has a file?
SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet({path}, hive_partitioning = false))
