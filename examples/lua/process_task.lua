-- What is done with a task. The page calls it and leaves it to its reader.
-- Returns what was done; or nil and an error, and then the message comes back a little later.

local store = require("store")

local function process_task(task)
    if not task.action then
        return nil, "task " .. tostring(task.id) .. " says nothing about what to do"
    end
    -- A server that does not answer at once, so that you see a message come back.
    if task.action == "fetch" then
        local asked = assert(store.get("app.queue:asked"))
        local _, asked_before = asked:put(task.id, true, {only_if_absent = true})
        if not asked_before then
            return nil, errors.new{message = "the server does not answer", kind = errors.UNAVAILABLE, retryable = true}
        end
    end
    return task.id .. ": " .. task.action .. " done"
end

return process_task
