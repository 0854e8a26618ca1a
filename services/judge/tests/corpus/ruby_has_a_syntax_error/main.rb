puts "a"
end
