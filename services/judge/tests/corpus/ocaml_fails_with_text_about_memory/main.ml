let () = failwith "Out_of_memory"
