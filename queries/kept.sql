-- kept: documents good enough to train on, each with the rule that decided.
-- in:    measured
-- out:   kept
-- param: min_confidence double = 0.6   -- weakest language label to believe
-- param: min_evidence bigint = 100     -- code points below which a label does not contradict a declared language
-- param: gopher boolean = true         -- apply Gopher's quality and repetition rules, made for web pages
SELECT doc_id,
       CASE
           WHEN n_words = 0 THEN 'empty'
           WHEN lang IS NULL
               AND (detected.lang IS NULL
                   OR detected.score < pick($min_confidence, source, detected.lang)) THEN 'language'
           WHEN lang IS NOT NULL
               AND n_chars >= $min_evidence
               AND lang_known(lang)
               AND detected.lang <> lang
               AND detected.score >= pick($min_confidence, source, detected.lang) THEN 'other_language'
           WHEN $gopher AND NOT gopher.keep THEN gopher.reason
           WHEN $gopher AND NOT repetition.keep THEN repetition.reason
       END AS reason
FROM measured
