local rows = {}
while true do
  rows[#rows + 1] = string.rep("x", 1 << 20) .. #rows
end
