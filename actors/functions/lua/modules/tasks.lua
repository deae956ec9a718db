-- The tasks of one call. The main function is no coroutine: where it waits, it runs the others until it may go on. A
-- spawned task is a coroutine that yields where it waits. So a call that neither spawns nor waits pays for nothing.

local host, kit = ...
local tasks = kit.tasks
local create, resume, yield, fail, check = tasks.create, tasks.resume, tasks.yield, tasks.fail, tasks.check
local status, isyieldable = coroutine.status, coroutine.isyieldable
local insert, remove = table.insert, table.remove
local error, next = error, next

local TURNS = 64 -- tasks that always have something to do let timers have a look this often

local running -- the task that runs, nil for the main function
local ready, first, last -- tasks that may go on, in order
local timers -- by the moment they are due
local call = {} -- what is waited for belongs to one call, and means nothing to the next one
local sources = {} -- what else may wake somebody: poll() looks, matters() says whether somebody waits for it

function tasks.forget()
  running, ready, first, last, timers, call = nil, {}, 1, 0, {}, {}
end
tasks.forget()

local function make_ready(task)
  last = last + 1
  ready[last] = task
end

function tasks.spawn(f)
  local thread = create(f)
  make_ready({ thread = thread })
  return thread
end

-- ---- waiting ----------------------------------------------------------------------------------------------

-- Something that one task waits for: it is done once, by `wake`.
function tasks.waiter()
  return { task = running, call = call, done = false }
end

function tasks.is_live(waiter)
  return not waiter.done and waiter.call == call
end

function tasks.wake(waiter)
  waiter.done = true
  if waiter.task then
    make_ready(waiter.task)
  end
end

-- Before anybody is told to wake this task: a task inside a function of C cannot wait.
function tasks.require_waiting(level)
  if running and not isyieldable() then
    error("a spawned task cannot wait inside a function that C calls (table.sort, string.gsub)", level + 1)
  end
end

local function let_run(task)
  if status(task.thread) ~= "suspended" then
    return
  end
  running = task
  local ok, yielded = resume(task.thread)
  running = nil
  if not ok then
    fail(yielded)
  elseif yielded ~= tasks.WAITING and status(task.thread) == "suspended" then
    make_ready(task) -- coroutine.yield() in the task itself: the others have a turn
  end
end

local function has_hope()
  for index = 1, #timers do
    if timers[index].matters() then
      return true
    end
  end
  for index = 1, #sources do
    if sources[index].matters() then
      return true
    end
  end
  return false
end

local function wait_outside(waiter)
  if not has_hope() then
    waiter.done = true -- who catches the error waits no more
    error(kit.fault({
      kind = "Internal",
      message = "deadlock: every task of this call waits, and nothing is left that could wake one",
      retryable = false,
    }), 0)
  end
  host.wait(timers[1] and timers[1].due)
  check()
end

-- Fires what is due, if anything can be.
function tasks.look()
  if timers[1] then
    local now = host.now()
    while timers[1] and timers[1].due <= now do
      local timer = remove(timers, 1)
      timer.is_set = false
      timer.fire(now, timer)
    end
  end
  for index = 1, #sources do
    sources[index].poll()
  end
end

local function take_turns(waiter)
  local turns = 0
  while not waiter.done do
    if first > last or turns >= TURNS then
      turns = 0
      tasks.look()
    end
    if first <= last then
      local task = ready[first]
      ready[first] = nil
      first, turns = first + 1, turns + 1
      let_run(task)
    elseif not waiter.done then
      wait_outside(waiter)
    end
  end
end

function tasks.wait(waiter)
  while not waiter.done do
    if running then
      yield()
    else
      take_turns(waiter)
    end
  end
end

-- ---- what wakes -------------------------------------------------------------------------------------------

-- `fire` is called with the moment and the timer; `matters` says whether somebody waits for it.
function tasks.set_timer(seconds, fire, matters)
  local timer = { fire = fire, matters = matters }
  tasks.restart_timer(timer, host.now() + seconds)
  return timer
end

function tasks.restart_timer(timer, due)
  local at = #timers + 1
  while at > 1 and timers[at - 1].due > due do
    at = at - 1
  end
  timer.due, timer.is_set = due, true
  insert(timers, at, timer)
end

-- Whether it was still set.
function tasks.stop_timer(timer)
  if not timer.is_set then
    return false
  end
  timer.is_set = false
  for index = 1, #timers do
    if timers[index] == timer then
      remove(timers, index)
      return true
    end
  end
  return false -- it was set by an earlier call, and ended with it
end

-- The moment of the monotonic clock, in seconds.
function tasks.now()
  return (host.now())
end

function tasks.add_source(source)
  sources[#sources + 1] = source
end

return {}
