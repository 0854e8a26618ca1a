print "a" if
