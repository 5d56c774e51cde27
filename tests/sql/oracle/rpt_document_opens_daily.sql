-- Report 2, document opens: from tracking_documents alone, per day
SELECT
    date(created_at AT TIME ZONE %(timezone)s), app_name, level_name, chapter_name, document_name,
    user_type, country_code, count(*)
FROM tracking_documents
WHERE NOT is_bot
GROUP BY 1, 2, 3, 4, 5, 6, 7
