-- Whether the indexes of the shard are complete. ARGV: generation; 'begin' to take them away where
-- they are not, so that they can be built anew. Returns 1 where they are complete, else 0
if is_indexed() then return 1 end
if ARGV[2] == 'begin' then call('UNLINK', order, users, ids, deadlines, ends, marks) end
return 0
