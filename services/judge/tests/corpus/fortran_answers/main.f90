program sum
  implicit none
  integer :: a, b
  read (*, *) a
  read (*, *) b
  write (*, "(i0)") a + b
end program sum
