-- What becomes of a page that was refused: its name and the reason take part in the report.

local queue = require("queue")

local function handler(page)
    local message = assert(queue.message())
    local reason = assert(message:header("x_dead_letter_error"))
    assert(queue.publish("polyglot:ladders", {
        survey = page.survey,
        file = page.file,
        refused = (reason:gsub("^LuaError: ", "")),
    }))
end

return handler
