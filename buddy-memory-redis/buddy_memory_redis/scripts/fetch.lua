-- Read rows by id. ARGV: ids. Returns for each its stored text, or false
return live_all(ARGV)
