"""`function.lua` and `library.lua`: functions in Lua, each in a state that nothing leads out of."""
