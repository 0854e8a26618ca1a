program endless
    implicit none
    print *, deeper(0)
contains
    recursive function deeper(depth) result(sum)
        integer, intent(in) :: depth
        integer, volatile :: frame(64)
        integer :: sum
        frame(1) = depth
        sum = deeper(depth + 1) + frame(1)
    end function
end program
