local host, kit = ...
local setmetatable = setmetatable
local kept, insist = kit.kept, kit.insist

-- What the objects are, out of a script's reach: the number of a version or of a snapshot's, and what a set of changes
-- began with and holds.
local versions, snapshots, sets = kit.private(), kit.private(), kit.private()

local function made(make, value, problem)
  if problem then
    return nil, problem
  end
  return make(value), nil
end

-- ---- versions ---------------------------------------------------------------------------------------------

local version_methods = {}
local Version = { __index = version_methods, __metatable = "registry.Version" }

function Version.__tostring(version)
  return "registry.Version{" .. versions[version] .. "}"
end

local function make_version(number)
  local version = setmetatable({}, Version)
  versions[version] = number
  return version
end

local function number_of(version)
  return kept(versions, version, "registry.Version")
end

function version_methods.id(version)
  return number_of(version)
end

function version_methods.string(version)
  return "v" .. number_of(version)
end

local function neighbour(number, problem)
  if number == nil then
    return nil, problem
  end
  return make_version(number), nil
end

function version_methods.previous(version)
  return neighbour(host.previous(number_of(version)))
end

function version_methods.next(version)
  return neighbour(host.following(number_of(version)))
end

local function current_version()
  return made(make_version, host.version())
end

local function list_versions()
  return made(function(numbers)
    local list = {}
    for index = 1, #numbers do
      list[index] = make_version(numbers[index])
    end
    return list
  end, host.versions())
end

-- ---- changes ----------------------------------------------------------------------------------------------

local changes_methods = {}
local Changes = {
  __index = changes_methods,
  __metatable = "registry.Changes",
  __tostring = function(changes)
    return "registry.Changes{" .. #sets[changes].operations .. "}"
  end,
}

local function make_changes(base)
  local changes = setmetatable({}, Changes)
  sets[changes] = { base = base, operations = {} }
  return changes
end

local function set_of(changes)
  return kept(sets, changes, "registry.Changes")
end

local function noting(kind)
  return function(changes, what)
    local operations = set_of(changes).operations
    operations[#operations + 1] = insist(host.operation(kind, what))
    return changes
  end
end

changes_methods.create = noting("create")
changes_methods.update = noting("update")
changes_methods.delete = noting("delete")

function changes_methods.ops(changes)
  return host.copy(set_of(changes).operations)
end

function changes_methods.apply(changes)
  local set = set_of(changes)
  return made(make_version, host.apply(set.base, set.operations))
end

-- ---- snapshots --------------------------------------------------------------------------------------------

local snapshot_methods = {}
local Snapshot = {
  __index = snapshot_methods,
  __metatable = "registry.Snapshot",
  __tostring = function(snapshot)
    return "registry.Snapshot{version=" .. snapshots[snapshot] .. "}"
  end,
}

local function make_snapshot(number)
  local snapshot = setmetatable({}, Snapshot)
  snapshots[snapshot] = number
  return snapshot
end

local function version_of(snapshot)
  return kept(snapshots, snapshot, "registry.Snapshot")
end

function snapshot_methods.entries(snapshot)
  return host.entries(version_of(snapshot))
end

function snapshot_methods.get(snapshot, id)
  return host.get(id, version_of(snapshot))
end

function snapshot_methods.namespace(snapshot, name)
  return host.namespace(name, version_of(snapshot))
end

function snapshot_methods.find(snapshot, criteria)
  return host.find(criteria, version_of(snapshot))
end

function snapshot_methods.version(snapshot)
  return make_version(version_of(snapshot)), nil
end

function snapshot_methods.changes(snapshot)
  return make_changes(version_of(snapshot)), nil
end

-- ---- history ----------------------------------------------------------------------------------------------

local history_methods = {}
local History = {
  __index = history_methods,
  __metatable = "registry.History",
  __tostring = function()
    return "registry.History{}"
  end,
}

function history_methods.versions()
  return list_versions()
end

function history_methods.get_version(_, number)
  if number == nil then
    number = -1 -- it must be said which one
  end
  return made(make_version, host.version(number))
end

function history_methods.snapshot_at(_, version)
  return made(make_snapshot, host.version(number_of(version)))
end

-- ---- the module -------------------------------------------------------------------------------------------

-- Not `get` and `find` of the host: they would take a version.
local registry = { parse_id = host.parse_id }

function registry.get(id)
  return host.get(id)
end

function registry.find(criteria)
  return host.find(criteria)
end

function registry.snapshot()
  return made(make_snapshot, host.version())
end

function registry.snapshot_at(number)
  return made(make_snapshot, host.snapshot_at(number))
end

registry.current_version = current_version
registry.versions = list_versions

function registry.history()
  return setmetatable({}, History), nil
end

function registry.apply_version(version)
  local done, problem = host.apply_version(number_of(version))
  return done or false, problem
end

local function entries_of(what)
  local number = snapshots[what] or versions[what]
  if number == nil then
    return what
  end
  return host.entries(number)
end

function registry.build_delta(from, to)
  local before, problem = entries_of(from)
  if problem then
    return nil, problem
  end
  local after
  after, problem = entries_of(to)
  if problem then
    return nil, problem
  end
  return host.delta(before, after)
end

return registry
