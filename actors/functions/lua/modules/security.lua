local host, kit = ...
local setmetatable, error, type, tostring, ipairs, next = setmetatable, error, type, tostring, ipairs, next
local concat, sort = table.concat, table.sort
-- Whatever a function refuses, an argument or the right to do it, stops who did not look.
local kept, insist = kit.kept, kit.insist

-- What the objects are, out of a script's reach: {id, meta} of an actor, the ID of a policy, the sorted IDs of a scope.
local actors = setmetatable({}, { __mode = "k" })
local policies = setmetatable({}, { __mode = "k" })
local scopes = setmetatable({}, { __mode = "k" })

-- ---- actors -----------------------------------------------------------------------------------------------

local actor_methods = {}
local Actor = { __index = actor_methods, __metatable = "security.Actor" }

function Actor.__tostring(actor)
  return "security.Actor{id=" .. actors[actor].id .. "}"
end

local function make_actor(fields)
  local actor = setmetatable({}, Actor)
  actors[actor] = fields
  return actor
end

function actor_methods.id(actor)
  return kept(actors, actor, "security.Actor").id
end

function actor_methods.meta(actor)
  return (host.copy(kept(actors, actor, "security.Actor").meta))
end

-- ---- policies ---------------------------------------------------------------------------------------------

local policy_methods = {}
local Policy = { __index = policy_methods, __metatable = "security.Policy" }

function Policy.__tostring(policy)
  return "security.Policy{id=" .. policies[policy] .. "}"
end

local function make_policy(id)
  local policy = setmetatable({}, Policy)
  policies[policy] = id
  return policy
end

local function evaluate(ids, actor, action, resource, meta)
  local who = actors[actor]
  if not who then
    error("expected a security.Actor as the first argument of evaluate", 3)
  end
  return insist(host.evaluate(ids, who, action, resource, meta))
end

function policy_methods.id(policy)
  return kept(policies, policy, "security.Policy")
end

function policy_methods.evaluate(policy, actor, action, resource, meta)
  local id = kept(policies, policy, "security.Policy")
  local outcome = evaluate({ id }, actor, action, resource, meta)
  return outcome
end

-- ---- scopes -----------------------------------------------------------------------------------------------

local scope_methods = {}
local Scope = { __index = scope_methods, __metatable = "security.Scope" }

function Scope.__tostring(scope)
  return "security.Scope{" .. concat(scopes[scope], ", ") .. "}"
end

local function make_scope(ids)
  local scope = setmetatable({}, Scope)
  scopes[scope] = ids
  return scope
end

local function scope_from(set)
  local ids = {}
  for id in next, set do
    ids[#ids + 1] = id
  end
  sort(ids)
  return make_scope(ids)
end

local function set_of(ids)
  local set = {}
  for _, id in ipairs(ids) do
    set[id] = true
  end
  return set
end

-- A policy is also named by its ID, or by the two parts of it.
local function id_of(named)
  local id = policies[named]
  if id then
    return id
  elseif type(named) == "table" then
    return tostring(named.ns) .. ":" .. tostring(named.name)
  elseif type(named) == "string" then
    return named
  end
  error("expected a security.Policy, an ID, or a table {ns, name}", 3)
end

scope_methods["with"] = function(scope, policy)
  local set = set_of(kept(scopes, scope, "security.Scope"))
  local id = policies[policy]
  if not id then
    error("expected a security.Policy", 2)
  end
  insist(host.require_scope("with"))
  set[id] = true
  return scope_from(set)
end

function scope_methods.without(scope, named)
  local set = set_of(kept(scopes, scope, "security.Scope"))
  local id = id_of(named)
  insist(host.require_scope("without"))
  set[id] = nil
  return scope_from(set)
end

function scope_methods.contains(scope, named)
  local set = set_of(kept(scopes, scope, "security.Scope"))
  local id = id_of(named)
  return set[id] == true
end

function scope_methods.policies(scope)
  local list = {}
  for index, id in ipairs(kept(scopes, scope, "security.Scope")) do
    list[index] = make_policy(id)
  end
  return list
end

function scope_methods.evaluate(scope, actor, action, resource, meta)
  local ids = kept(scopes, scope, "security.Scope")
  local outcome = evaluate(ids, actor, action, resource, meta)
  return outcome
end

-- ---- token stores -----------------------------------------------------------------------------------------

local token_stores = setmetatable({}, { __mode = "k" }) -- {id} of each, without it when it is closed
local token_methods = {}
local TokenStore = { __index = token_methods, __metatable = "security.TokenStore" }

function TokenStore.__tostring(store)
  local id = token_stores[store].id
  return "security.TokenStore{" .. (id and "id=" .. id or "closed") .. "}"
end

local function opened(store)
  local id = kept(token_stores, store, "security.TokenStore").id
  if not id then
    return nil, kit.invalid("token store is closed")
  end
  return id
end

function token_methods.validate(store, token)
  local id, closed = opened(store)
  if not id then
    return nil, nil, closed
  end
  local found, problem = host.validate_token(id, token)
  if not found then
    return nil, nil, problem
  end
  return make_actor(found.actor), make_scope(found.scope), nil
end

function token_methods.create(store, actor, scope, options)
  local id, closed = opened(store)
  if not actors[actor] then
    error("expected a security.Actor as the first argument of create", 2)
  elseif not scopes[scope] then
    error("expected a security.Scope as the second argument of create", 2)
  elseif not id then
    return nil, closed
  end
  return host.create_token(id, actors[actor], scopes[scope], options)
end

function token_methods.revoke(store, token)
  local id, closed = opened(store)
  if not id then
    return nil, closed
  end
  return host.revoke_token(id, token)
end

function token_methods.close(store)
  kept(token_stores, store, "security.TokenStore").id = nil
  return true, nil
end

-- ---- the module -------------------------------------------------------------------------------------------

-- For `funcs`: what an actor or a scope of a script is, or nil for anything else.
kit.actor_of = function(object)
  return actors[object]
end
kit.scope_of = function(object)
  return scopes[object]
end

local security = {}

function security.actor()
  local fields = insist(host.actor())
  return fields and make_actor(fields)
end

function security.scope()
  local ids = insist(host.scope())
  return ids and make_scope(ids)
end

function security.can(action, resource, meta)
  return (insist(host.can(action, resource, meta)))
end

function security.new_actor(id, meta)
  return make_actor(insist(host.new_actor(id, meta)))
end

function security.new_scope(given)
  if given ~= nil and type(given) ~= "table" then
    error("expected a list of security.Policy objects", 2)
  end
  insist(host.require_scope("custom"))
  local set = {}
  for _, policy in ipairs(given or {}) do
    if policies[policy] then
      set[policies[policy]] = true
    end
  end
  return scope_from(set)
end

function security.policy(id)
  local found, problem = host.policy(id)
  if not found then
    return nil, problem
  end
  return make_policy(found), nil
end

function security.named_scope(id)
  local found, problem = host.named_scope(id)
  if not found then
    return nil, problem
  end
  return make_scope(found), nil
end

function security.token_store(id)
  local found, problem = kit.allowed(host.open_tokens(id))
  if not found then
    return nil, problem
  end
  local store = setmetatable({}, TokenStore)
  token_stores[store] = { id = found }
  return store, nil
end

return security
