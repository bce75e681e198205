-- pairs_kept: pairs good enough to train on, each with the rule that decided.
-- in:    pairs_measured
-- out:   pairs_kept
-- param: max_length_ratio double = 6.0      -- longer side over shorter side in code points
-- param: max_copy double = 0.9              -- similarity from which a target is a copy of its source
-- param: min_numerals double = 0.5          -- agreement of the numerals of both sides
SELECT doc_id,
       CASE
           WHEN length_ratio IS NULL OR length_ratio > pick($max_length_ratio, source, tgt_lang) THEN 'length_ratio'
           WHEN copy_similarity >= pick($max_copy, source, tgt_lang) THEN 'copy'
           WHEN numeral_agreement < pick($min_numerals, source, tgt_lang) THEN 'numerals'
       END AS reason
FROM pairs_measured
