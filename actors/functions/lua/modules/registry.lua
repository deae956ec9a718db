local host, kit = ...
local setmetatable = setmetatable

-- What the objects are, out of a script's reach. All snapshots are the same one; a version is its number.
local versions = setmetatable({}, { __mode = "k" })

local function number_of(version)
  return kit.kept(versions, version, "registry.Version")
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

function version_methods.id(version)
  return number_of(version)
end

function version_methods.string(version)
  return "v" .. number_of(version)
end

-- Nothing comes before the version that was loaded, and nothing after it.
function version_methods.previous(version)
  number_of(version)
  return nil
end
version_methods.next = version_methods.previous

local function wrapped(make, value, problem)
  if problem then
    return nil, problem
  end
  return make(value), nil
end

local function current_version()
  return wrapped(make_version, host.version())
end

local function list_versions()
  local version, problem = current_version()
  if not version then
    return nil, problem
  end
  return { version }, nil
end

-- ---- snapshots --------------------------------------------------------------------------------------------

local snapshot_methods = {}
local Snapshot = {
  __index = snapshot_methods,
  __metatable = "registry.Snapshot",
  __tostring = function()
    return "registry.Snapshot{version=0}"
  end,
}

local function make_snapshot()
  return setmetatable({}, Snapshot)
end

function snapshot_methods.entries()
  return host.entries()
end

function snapshot_methods.get(_, id)
  return host.get(id)
end

function snapshot_methods.namespace(_, name)
  return host.namespace(name)
end

function snapshot_methods.find(_, criteria)
  return host.find(criteria)
end

function snapshot_methods.version()
  return current_version()
end

function snapshot_methods.changes()
  return host.refuse_changes()
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
  return wrapped(make_version, host.version(number))
end

function history_methods.snapshot_at(_, version)
  number_of(version)
  return make_snapshot(), nil
end

-- ---- the module -------------------------------------------------------------------------------------------

local registry = { parse_id = host.parse_id, get = host.get, find = host.find, build_delta = host.refuse_changes }

function registry.snapshot()
  return wrapped(make_snapshot, host.version())
end

function registry.snapshot_at(number)
  return wrapped(make_snapshot, host.snapshot_at(number))
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

return registry
