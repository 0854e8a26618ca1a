program depths
    implicit none
    print '(i0)', depth(1000000)
contains
    recursive function depth(left) result(sum)
        integer, intent(in) :: left
        integer, volatile :: frame(24)
        integer :: sum
        frame(1) = 1
        sum = 0
        if (left > 0) sum = depth(left - 1) + frame(1)
    end function
end program
