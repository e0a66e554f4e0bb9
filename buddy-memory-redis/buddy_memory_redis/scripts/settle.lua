-- Say how intents ended. ARGV: (id, token, position)s, where a position '' means: there is no row
demand_writing(had_deadlines)
go_on_when_full()
settle(ARGV, 1, #ARGV)
finish_directory(false)
return 'OK'
