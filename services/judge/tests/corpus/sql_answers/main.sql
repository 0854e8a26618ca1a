CREATE TABLE numbers (n INTEGER);
INSERT INTO numbers VALUES (7), (35);
SELECT sum(n) FROM numbers;
