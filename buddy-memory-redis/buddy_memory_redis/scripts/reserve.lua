-- Draw so many numbers in a row. KEYS: the directory's. ARGV: how many
-- Returns the first
local first = tonumber(draw())
drawn = drawn + tonumber(ARGV[1]) - 1
keep_drawn()
return text(first)
