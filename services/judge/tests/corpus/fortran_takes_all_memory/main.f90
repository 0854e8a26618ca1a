program hog
  implicit none
  integer, allocatable :: row(:)
  integer :: n
  n = 1024
  do
    if (allocated(row)) deallocate(row)
    allocate(row(n))
    row = n
    if (row(n / 2) < 0) print *, row(n)
    n = n * 2
    if (n > 1000000000) n = 1000000000
  end do
end program hog
