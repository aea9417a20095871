<?php
// FreeScout's pages as a drill sees them, by real nginx, PHP and MariaDB: what raxx_bcp_sandbox/freescout/site.py does.
// The login page asks nothing of the database; a login, and an attachment by its link, do.

$root = dirname(__DIR__);
$env = [];
foreach (file("$root/.env", FILE_IGNORE_NEW_LINES) as $line) {
    [$name, $value] = explode('=', $line, 2) + [1 => ''];
    $env[$name] = trim($value, '"');
}
$key = $env['APP_KEY'] ?? '';
if (strlen(base64_decode(substr($key, 7))) !== 32) {
    end_with(500);
}

function end_with(int $status): never
{
    http_response_code($status);
    exit((string) $status);
}

function rows(array $env, string $statement, array $values): array
{
    try {
        $database = new mysqli('localhost', $env['DB_USERNAME'], $env['DB_PASSWORD'], $env['DB_DATABASE']);
        $database->set_charset('utf8mb4');
        $prepared = $database->prepare($statement);
        $prepared->execute($values);
        return $prepared->get_result()->fetch_all(MYSQLI_ASSOC);
    } catch (mysqli_sql_exception) {
        end_with(500);
    }
}

$session = $_COOKIE['laravel_session'] ?? bin2hex(random_bytes(20));
$csrf = hash_hmac('sha256', $session, $key);
$path = rawurldecode(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));

if ($path === '/login' && $_SERVER['REQUEST_METHOD'] === 'GET') {
    setcookie('laravel_session', $session, ['httponly' => true]);
    exit("<form method=\"POST\" action=\"/login\"><input type=\"hidden\" name=\"_token\" value=\"$csrf\"></form>");
}
if ($path === '/login') {
    if (!hash_equals($csrf, $_POST['_token'] ?? '')) {
        end_with(419);
    }
    $found = rows($env, 'SELECT password FROM users WHERE email = ? AND status = 1', [$_POST['email'] ?? '']);
    $good = $found && password_verify($_POST['password'] ?? '', $found[0]['password']);
    header('Location: ' . ($good ? '/' : '/login'), true, 302);
    exit;
}
if (str_starts_with($path, '/storage/attachment/')) {
    $found = rows($env, 'SELECT * FROM attachments WHERE id = ?', [$_GET['id'] ?? 0]);
    $row = $found[0] ?? end_with(404);
    $text = $row['id'] . $row['size'];
    $token = (int) ($row['token_type'] ?? 0) === 3
        ? hash_hmac('sha256', $text . $row['file_name'], $key)
        : md5($key . $text);
    if (!hash_equals($token, $_GET['token'] ?? '')) {
        end_with(403);
    }
    $file = "$root/storage/app/attachment/{$row['file_dir']}{$row['file_name']}";
    is_file($file) || end_with(404);
    header('Content-Type: application/octet-stream');
    readfile($file);
    exit;
}
end_with(404);
