-- pairs_measured: each pair's measures, no text.
-- in:    pairs
-- out:   pairs_measured
SELECT doc_id,
       src_lang,
       tgt_lang,
       source,
       char_count(src) + char_count(tgt) AS n_chars,
       content_key(src, tgt) AS content_key,
       length_ratio(src, tgt) AS length_ratio,
       copy_similarity(src, tgt) AS copy_similarity,
       numeral_agreement(src, tgt) AS numeral_agreement,
       punctuation_score(src, tgt) AS punctuation_score
FROM pairs
