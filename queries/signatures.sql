-- signatures: what near_duplicates needs of each document to find its duplicates.
-- in:    documents
-- out:   signatures
SELECT doc_id, duplicate_signature(text) AS signature
FROM documents
