-- pairs_signatures: what near_duplicates needs of each pair to find its duplicates.
-- in:    pairs
-- out:   pairs_signatures
SELECT doc_id, duplicate_signature(src, tgt) AS signature
FROM pairs
