import qualified Data.Map as Map

main :: IO ()
main = interact $ \text -> show (sum (Map.elems (Map.fromList (zip [0 :: Int ..] (map read (lines text) :: [Int]))))) ++ "\n"
