-- sized: tokens of each surviving row of the training split, and what mixtures group by.
-- in:    split, measured, documents, pairs, deduped, pairs_deduped
-- out:   sized
-- param: tokenizer text = 'main'   -- the tokenizer that counts
WITH texts AS (
    SELECT s.doc_id,
           'documents' AS kind,
           coalesce(m.lang, m.detected.lang) AS lang,
           d.source,
           u.cluster_size AS cluster_size,
           token_count(d.text, $tokenizer) AS tokens,
           char_count(d.text) AS chars,
           octet_length(d.text) AS bytes
    FROM split s
    JOIN measured m ON s.doc_id = m.doc_id
    JOIN documents d ON s.doc_id = d.doc_id
    JOIN deduped u ON s.doc_id = u.doc_id
    WHERE s.split = 'train'
    UNION ALL
    SELECT s.doc_id,
           'pairs',
           concat(p.src_lang, '-', p.tgt_lang),
           p.source,
           u.cluster_size,
           token_count(p.src, $tokenizer) + token_count(p.tgt, $tokenizer),
           char_count(p.src) + char_count(p.tgt),
           octet_length(p.src) + octet_length(p.tgt)
    FROM split s
    JOIN pairs p ON s.doc_id = p.doc_id
    JOIN pairs_deduped u ON s.doc_id = u.doc_id
    WHERE s.split = 'train'
)
SELECT doc_id,
       kind,
       lang,
       source,
       -- With those that begin and end a text, as packs have them; what is empty is not packed.
       CASE WHEN tokens = 0 THEN 0 WHEN kind = 'pairs' THEN tokens + 4 ELSE tokens + 2 END AS tokens,
       CAST(chars AS BIGINT) AS chars,
       CAST(bytes AS BIGINT) AS bytes,
       -- The weights of FineWeb-2 (arXiv 2506.20920) by the size of the cluster.
       CASE WHEN cluster_size < 4 THEN CAST(cluster_size AS BIGINT)
            WHEN cluster_size = 4 THEN 3
            WHEN cluster_size < 100 THEN 5
            WHEN cluster_size < 1000 THEN 8
            ELSE 1 END AS repeats
FROM texts
ORDER BY doc_id
