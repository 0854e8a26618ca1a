main :: IO ()
main = error "out of memory"
