let rows = ref []

let () =
  while true do
    rows := Bytes.make (1 lsl 20) 'x' :: !rows
  done
