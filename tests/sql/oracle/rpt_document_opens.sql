-- Report 2, document opens: from tracking_documents alone, per document
SELECT
    app_name, level_name, chapter_name, document_name,
    count(*), count(DISTINCT user_id), min(created_at), max(created_at)
FROM tracking_documents
WHERE NOT is_bot
GROUP BY app_name, level_name, chapter_name, document_name
