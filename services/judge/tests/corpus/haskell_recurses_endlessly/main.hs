deeper :: Integer -> Integer
deeper depth = deeper (depth + 1) + depth

main :: IO ()
main = print (deeper 0)
