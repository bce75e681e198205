-- deduped: the documents that are no exact or near duplicate of a better one that survives.
-- in:    kept, measured, documents, signatures
-- out:   deduped
-- param: threshold double = 0.8           -- Jaccard similarity of word 5-grams from which two texts are duplicates
-- param: within_language boolean = true   -- whether equal texts in two languages are left alone
SELECT doc_id,
       cluster_id,
       cluster_size,
       kept_id,
       similarity,
       content,
       CASE WHEN keep THEN NULL
            WHEN superseded THEN 'superseded'
            WHEN similarity = 1.0 THEN 'exact'
            ELSE 'near' END AS reason
FROM near_duplicates('kept', {threshold: $threshold, within_language: $within_language,
                              signatures: 'signatures', previous: 'previous.deduped'})
ORDER BY doc_id
