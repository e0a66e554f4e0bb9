-- Set positions aside. ARGV: generation; a position to stay behind; how many
-- Returns the first and the last one. All scripts that draw positions begin behind them
local first = math.max(tonumber(known[2] or 0) + 1, microseconds(), ARGV[2] + 1)
local last = first + ARGV[3] - 1
call('HSET', meta, 'last', text(last))
return {text(first), text(last)}
