-- pairs_deduped: the pairs that are no exact or near duplicate of a better one that survives.
-- in:    pairs_kept, pairs, pairs_signatures
-- out:   pairs_deduped
-- param: threshold double = 0.8           -- Jaccard similarity of word 5-grams from which two pairs are duplicates
-- param: within_language boolean = true   -- whether equal texts in two language pairs are left alone
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
FROM near_duplicates('pairs_kept', {threshold: $threshold, within_language: $within_language,
                              order: 'score desc', signatures: 'pairs_signatures', previous: 'previous.pairs_deduped'})
ORDER BY doc_id
