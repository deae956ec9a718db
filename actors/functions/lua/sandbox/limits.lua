-- How much a call may take, and its end when it takes more. An end is an error that nobody keeps: whatever can catch
-- one asks `insist`, which raises it again until the call is over.

local inner = ...
local host, options = inner.host, inner.options

local error, type, pcall, collectgarbage, setmetatable = error, type, pcall, collectgarbage, setmetatable
local sethook, traceback, clock, find = debug.sethook, debug.traceback, os.clock, string.find

local STEP = options.step -- instructions between two looks at the count
local POLL = options.poll -- instructions between two looks at the clock, for which Python is asked
local SLOW = 0.1 -- seconds of work after which it is asked anyway: some instructions copy millions of bytes
local BUDGET, MEMORY = options.instructions, options.memory

local limits = { OUT_OF_MEMORY = "not enough memory", STEP = STEP }
inner.limits = limits

local dead -- why the call is over, once it is
local used, next_poll = 0, POLL
local last_poll = 0 -- in seconds of os.clock
local trace -- where the call failed
local seen -- where it was when memory was last cleared up
local task_problem -- the error of the spawned task that failed it
local exception -- that came out of Python

-- Ctrl-C arrives wherever Python begins to run.
local function safely(target)
  local ok, result = pcall(target)
  while not ok do
    if type(result) ~= "userdata" then
      error(result, 0)
    end
    exception = result
    ok, result = pcall(target)
  end
  return result
end

local function poll()
  return safely(host.poll) or exception ~= nil
end

-- While Python puts values into this state: an error of the allocator would jump over Python's own frames.
function limits.lift_memory()
  return host.lift_limit and safely(host.lift_limit)
end

function limits.set_memory()
  return host.set_limit and safely(host.set_limit)
end

function limits.die(reason, known_trace)
  dead = reason
  trace = known_trace or traceback("", 2)
  error(reason, 0)
end

local die = limits.die

-- An error of the allocator says nothing of its place, and by now everything that ran there is gone.
function limits.die_of_memory()
  die("memory", seen)
end

-- So who collects garbage looks where the call is: memory hardly grows to its limit without that.
local function watch_memory()
  setmetatable({}, {
    __gc = function()
      seen = traceback("", 2)
      watch_memory()
    end,
  })
end
if MEMORY > 0 and not options.counts_memory then
  watch_memory()
end

function limits.insist()
  if dead then
    error(dead, 0)
  end
end

function limits.is_over()
  return dead ~= nil
end

function limits.charge(instructions)
  if dead then
    error(dead, 0)
  end
  used = used + instructions
  if BUDGET > 0 and used > BUDGET then
    die("instructions")
  end
  if options.counts_memory and MEMORY > 0 and collectgarbage("count") * 1024 > MEMORY then
    die("memory")
  end
  if used >= next_poll then
    next_poll, last_poll = used + POLL, clock()
    if poll() then
      die("cancelled")
    end
  end
end

-- Text as long as this can only end the call: so it ends here, where the place is known.
function limits.refuse_length(length)
  if MEMORY > 0 and length > MEMORY then
    die("memory")
  end
end

-- The call ends here if it was cancelled or its time is up.
function limits.check()
  if dead then
    error(dead, 0)
  elseif poll() then
    die("cancelled")
  end
end

-- An exception that left a Python function: it goes on where the call began.
function limits.interrupt(raised)
  exception = raised or exception
  die("interrupted")
end

-- The error of a task is the call's, and no other task's to catch.
function limits.fail_task(problem)
  if not dead and problem == limits.OUT_OF_MEMORY then
    limits.die_of_memory()
  elseif not dead then
    dead, task_problem = "task", problem
  end
  error(dead, 0)
end

-- The handler of whoever lets a script run: keeps the place.
function limits.note(problem)
  if not dead and problem ~= limits.OUT_OF_MEMORY then
    trace = traceback("", 2)
  end
  return problem
end

local charge = limits.charge

-- For work that no hook sees: it counts as so many instructions, and if much of it was done since, the clock is looked at.
function limits.work(instructions)
  if clock() - last_poll > SLOW then
    next_poll = 0
  end
  charge(instructions)
end

local work = limits.work

function limits.hook()
  work(STEP)
end

function limits.begin()
  dead, used, next_poll, trace, seen, task_problem, exception = nil, 0, POLL, nil, nil, nil, nil
  if options.hooks then
    sethook(limits.hook, "", STEP)
  end
  limits.set_memory()
end

-- From here on nothing of a script runs, and there is room to tell of what happened.
function limits.stop()
  sethook()
  limits.lift_memory()
end

-- A traceback if there is a script in it: noria's own lines and those of C begin with a bracket.
local function with_script(found)
  return found and find(found, "\n\t[^%[(]") and found
end

-- Of a call that failed with `problem`: why it was ended, or nil and the error that failed it; then its traceback.
function limits.verdict(problem)
  if dead == "task" then
    return nil, task_problem, trace
  end
  local reason = dead or (problem == limits.OUT_OF_MEMORY and "memory" or nil)
  if not reason then
    return nil, problem, trace
  end
  local raised = exception
  exception = nil
  return raised or reason, nil, with_script(trace) or with_script(seen)
end
