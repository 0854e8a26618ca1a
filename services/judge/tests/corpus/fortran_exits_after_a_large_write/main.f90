program exits
    implicit none
    print '(a)', repeat('0123456789abcde' // new_line('a'), 524287) // '0123456789abcde'
    stop
end program
