program main
    integer :: total = 0
    real :: half = 0.5
    call add(total, 42)
    call add(half, 1)
    print '(i0)', total
end program

subroutine add(total, number)
    integer :: total, number
    total = total + number
end subroutine
