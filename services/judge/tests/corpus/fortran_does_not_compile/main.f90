program wrong
  implicit none
  x = 1
end program wrong
