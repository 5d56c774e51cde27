-- the documents opened most, over all apps
SELECT
    level_name,
    document_name,
    CAST(sum(open_count) AS BIGINT) AS open_count
FROM marts.rpt_document_opens
GROUP BY level_name, chapter_name, document_name
ORDER BY open_count DESC, level_name, document_name
LIMIT 7
