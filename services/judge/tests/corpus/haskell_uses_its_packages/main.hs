import Data.Array (listArray, (!))
import qualified Data.ByteString.Char8 as B
import qualified Data.Map.Strict as Map
import qualified Data.Text as T
import Control.Monad.State (execState, modify)

main :: IO ()
main = do
  numbers <- map (maybe 0 fst . B.readInt) . B.words <$> B.getContents
  print (Map.size (Map.fromList (zip numbers numbers)), listArray (0, 1) numbers ! 1)
  putStrLn (T.unpack (T.toUpper (T.pack "text")) ++ show (execState (mapM_ (modify . (+)) numbers) 0))
