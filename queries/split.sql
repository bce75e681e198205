-- split: train, validation or test for every surviving row, the same for a whole translation group or cluster.
-- in:    deduped, pairs_deduped, measured, documents, pairs, labelled
-- out:   split
-- param: validation double = 0.02   -- share of the groups held out to watch training
-- param: test double = 0.0          -- share of the groups held out for evaluation
WITH sides AS (
    SELECT s.doc_id,
           coalesce(m.lang, m.detected.lang, 'und') AS lang,
           m.content_key AS content,
           CAST(NULL AS VARCHAR) AS given,
           uniform(coalesce(d.group_id, s.cluster_id), $seed) AS draw
    FROM deduped s JOIN measured m ON s.doc_id = m.doc_id JOIN documents d ON s.doc_id = d.doc_id
    UNION ALL
    SELECT s.doc_id, p.src_lang, content_key(p.src), NULL, uniform(coalesce(p.group_id, s.cluster_id), $seed)
    FROM pairs_deduped s JOIN pairs p ON s.doc_id = p.doc_id
    UNION ALL
    SELECT s.doc_id, p.tgt_lang, content_key(p.tgt), NULL, uniform(coalesce(p.group_id, s.cluster_id), $seed)
    FROM pairs_deduped s JOIN pairs p ON s.doc_id = p.doc_id
    UNION ALL
    SELECT doc_id, coalesce(lang, 'und'), content_key(text), split, uniform(coalesce(group_id, doc_id), $seed)
    FROM labelled
),
placed AS (
    SELECT doc_id,
           lang,
           content,
           coalesce(given,
                    CASE WHEN draw < $test THEN 'test'
                         WHEN draw < $test + $validation THEN 'validation'
                         ELSE 'train' END) AS split
    FROM sides
),
held AS (SELECT DISTINCT lang, content FROM placed WHERE split <> 'train')
-- A text that stands in two groups may be drawn into both parts: then it is trained on in neither.
SELECT p.doc_id,
       CASE WHEN min(p.split) = 'train' AND count(h.content) > 0 THEN 'overlap'
            ELSE min(p.split) END AS split
-- What is held out is little: a join holds its left side in memory.
FROM held h
RIGHT JOIN placed p ON p.lang = h.lang AND p.content = h.content
GROUP BY p.doc_id
ORDER BY p.doc_id
