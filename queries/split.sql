-- split: train, validation or test for every surviving row, the same for a whole translation group or cluster.
-- in:    deduped, pairs_deduped, documents, pairs, labelled
-- out:   split
-- param: validation double = 0.02   -- share of the groups held out to watch training
-- param: test double = 0.0          -- share of the groups held out for evaluation
SELECT doc_id,
       coalesce(given,
                CASE WHEN draw < $test THEN 'test'
                     WHEN draw < $test + $validation THEN 'validation'
                     ELSE 'train' END) AS split
FROM (SELECT s.doc_id,
             CAST(NULL AS VARCHAR) AS given,
             uniform(coalesce(d.group_id, s.cluster_id), $seed) AS draw
      FROM deduped s JOIN documents d ON s.doc_id = d.doc_id
      UNION ALL
      SELECT s.doc_id, NULL, uniform(coalesce(p.group_id, s.cluster_id), $seed)
      FROM pairs_deduped s JOIN pairs p ON s.doc_id = p.doc_id
      UNION ALL
      SELECT doc_id, split, uniform(coalesce(group_id, doc_id), $seed)
      FROM labelled)
ORDER BY doc_id
