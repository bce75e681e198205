-- split: train, validation or test for every surviving row, the same for a whole translation group or cluster.
-- in:    deduped, pairs_deduped, measured, documents, pairs, labelled
-- out:   split
-- param: validation double = 0.02   -- share of the groups held out to watch training
-- param: test double = 0.0          -- share of the groups held out for evaluation
-- param: minimum bigint = 0         -- least rows of a language or language pair in validation, as far as half of them reach
WITH sides AS (
    SELECT s.doc_id,
           coalesce(m.lang, m.detected.lang, 'und') AS lang,
           coalesce(m.lang, m.detected.lang, 'und') AS trained_as,
           m.content_key AS content,
           CAST(NULL AS VARCHAR) AS given,
           uniform(coalesce(d.group_id, s.cluster_id), $seed) AS draw
    FROM deduped s JOIN measured m ON s.doc_id = m.doc_id JOIN documents d ON s.doc_id = d.doc_id
    UNION ALL
    SELECT s.doc_id, p.src_lang, concat(p.src_lang, '-', p.tgt_lang), content_key(p.src), NULL, uniform(coalesce(p.group_id, s.cluster_id), $seed)
    FROM pairs_deduped s JOIN pairs p ON s.doc_id = p.doc_id
    UNION ALL
    SELECT s.doc_id, p.tgt_lang, NULL, content_key(p.tgt), NULL, uniform(coalesce(p.group_id, s.cluster_id), $seed)
    FROM pairs_deduped s JOIN pairs p ON s.doc_id = p.doc_id
    UNION ALL
    SELECT doc_id, coalesce(lang, 'und'), NULL, content_key(text), split, uniform(coalesce(group_id, doc_id), $seed)
    FROM labelled
),
-- Where a language has too few rows in validation, the groups of the next draws are held out too.
-- Rows are counted by slices of the draw first: few of a large language have to be sorted.
slices AS (
    SELECT trained_as, floor(draw * 4096) AS slice, count(*) AS rows
    FROM sides
    WHERE trained_as IS NOT NULL AND draw >= $test AND $minimum > 0
    GROUP BY trained_as, floor(draw * 4096)
),
ranked AS (
    SELECT trained_as, slice,
           least($minimum, sum(rows) OVER (PARTITION BY trained_as) / 2) AS wanted,
           sum(rows) OVER (PARTITION BY trained_as ORDER BY slice ROWS UNBOUNDED PRECEDING) AS upto
    FROM slices
),
cuts AS (
    SELECT trained_as, min(slice) AS slice, min(wanted) AS wanted
    FROM ranked
    WHERE upto >= wanted
    GROUP BY trained_as
),
last AS (
    SELECT s.trained_as, s.draw, min(c.wanted) AS wanted, count(*) AS rows
    FROM cuts c
    JOIN sides s ON s.trained_as = c.trained_as
    WHERE s.draw >= $test AND floor(s.draw * 4096) <= c.slice
    GROUP BY s.trained_as, s.draw
),
more AS (
    SELECT DISTINCT draw
    FROM (SELECT draw, wanted, rows,
                 sum(rows) OVER (PARTITION BY trained_as ORDER BY draw ROWS UNBOUNDED PRECEDING) AS upto
          FROM last)
    WHERE upto - rows < wanted
),
placed AS (
    SELECT s.doc_id,
           s.lang,
           s.content,
           coalesce(s.given,
                    CASE WHEN s.draw < $test THEN 'test'
                         WHEN s.draw < $test + $validation OR m.draw IS NOT NULL THEN 'validation'
                         ELSE 'train' END) AS split
    FROM more m
    RIGHT JOIN sides s ON s.draw = m.draw
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
