program main
    error stop "Error allocating 8 bytes: Cannot allocate memory"
end program
