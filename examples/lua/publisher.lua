local queue = require("queue")

local function handler(payload)
    queue.publish("app.queue:tasks", {
        id = "task-123",
        action = "process",
        data = payload
    })
end

return handler
