<?php

declare(strict_types=1);

namespace PreferenceCenter\Client;

/** The service refused the request: repeating it unchanged does not help. */
final class ApiError extends \RuntimeException implements PreferenceCenterError
{
    /** Stable, for programs, e.g. `unknown-topic`. */
    public readonly string $type;
    /** For people. */
    public readonly string $detail;
    /** @var list<array{code: string, detail: string, pointer?: string, parameter?: string}> */
    public readonly array $errors;

    /** @param mixed $problem the problem document (RFC 9457), or whatever else was received */
    public function __construct(public readonly int $status, mixed $problem)
    {
        $given = is_array($problem) ? $problem : [];
        $type = is_string($given['type'] ?? null) ? $given['type'] : '';
        $this->type = substr((string) strrchr("/$type", '/'), 1) ?: 'about:blank';
        $detail = $given['detail'] ?? $given['title'] ?? null;
        $this->detail = is_string($detail) ? $detail : 'is the URL that of the service?';
        $this->errors = is_array($given['errors'] ?? null) ? array_values($given['errors']) : [];
        parent::__construct("$status {$this->type}: {$this->detail}");
    }
}
